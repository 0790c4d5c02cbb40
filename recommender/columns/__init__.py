"""The log as columns: what training needs of each fact, kept in files so that no fact is decoded twice."""
