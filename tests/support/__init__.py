"""What the tests of several rooms share: the real engines, ini files, and the rule against silent skips.

Warnings are errors in tests, but Pyramid and WebOb warn when they are first imported (``pkg_resources``, ``cgi``): so
they are imported here, before everything else.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyramid_tm as pyramid_tm
