"""Named days: public holidays where a visitor is, and the shop's own days and seasons."""
