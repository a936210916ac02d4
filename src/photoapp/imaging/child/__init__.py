"""The process that decodes strangers' files. Nothing of the server may be imported here.

The parent runs this folder as a script, in an interpreter that has neither our package nor Pyramid nor
SQLAlchemy: a decoder that a hostile picture takes over finds no secrets, no settings and no connections.
``wire`` is the one module that both sides import.
"""
