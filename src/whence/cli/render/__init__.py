"""What the commands print, apart from what they find out."""
