"""The homepage as it is served: its settings, the situation of a request, weather, the choice, the answer."""
