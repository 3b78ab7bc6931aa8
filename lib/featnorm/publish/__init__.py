"""What the book needs from code: figures, claim boxes, validated parameters, the papermill reader."""
