"""Where candidates come from: lists of neighbours and histories alike, chosen and tuned on a slice held back."""
