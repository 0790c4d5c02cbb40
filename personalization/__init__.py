"""Who is asking, in which situation, and what the shop wants: profiles, filters, rules, the ranked row."""
