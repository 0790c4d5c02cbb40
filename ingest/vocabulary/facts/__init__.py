"""The facts themselves, by what they are about; everyone takes them from `ingest.vocabulary.events`."""
