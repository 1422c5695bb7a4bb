"""How accurate a learnt field is, and what limits it."""
