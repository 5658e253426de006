"""Large data for measuring and trying: whole populations, written set by set."""
