"""The figures of the chapters, one module a chapter. Each function draws data that a chapter computed and stores it.

They compute nothing but what is drawn. ``made_by`` names the function, configuration and seed that made the data.
"""
