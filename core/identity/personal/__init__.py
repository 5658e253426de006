"""All of a person's data, wherever it is: handing it out, and erasing it."""
