"""What is measured: figures of machines, of what is stored, of programs, and of ourselves."""
