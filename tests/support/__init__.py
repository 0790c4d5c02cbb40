"""Builders, strategies and starters that the tests share; no mocks of our own ports."""
