"""The demo school of `skillforge up`: its people and courses as plain files, and how it comes to life."""
