"""The REST interface described for programs and people, from the descriptors alone."""
