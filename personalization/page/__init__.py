"""What the shop wants on a page: placements, hard filters, strategies, rules, the ranked row with its reasons."""
