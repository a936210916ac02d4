"""What the plugins that stand on Redis share: where the instances are, connections, server-side scripts.

Nothing is imported here, so that an installation without the driver can read the settings of its own plugins.
"""
