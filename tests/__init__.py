"""What proves that Dangol does what it says."""
