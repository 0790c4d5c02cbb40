"""Where the keyring is kept."""
