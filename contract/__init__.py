"""The contract as the descriptors say it: methods, errors and the client interface every door uses.

Imports the generated stubs and nothing else of the project, so that the domain and the doors can share it.
"""
