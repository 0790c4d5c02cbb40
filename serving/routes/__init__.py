"""The HTTP interface: a blueprint each for collecting, recommendations, products, customers, health, the store."""
