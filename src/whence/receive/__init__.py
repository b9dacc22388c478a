"""Takes in what others recorded or exported and makes a recording of it."""
