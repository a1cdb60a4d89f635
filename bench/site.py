"""Settings of a web process that is measured: the product's own, and one bare page beside."""

from portal.settings import *  # noqa: F403  # That is what these settings are.

ROOT_URLCONF = "bench.bare"
