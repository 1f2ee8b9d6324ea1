"""For all tests: an example may take as long as a busy machine needs; what is wrong is found by asserts, not clocks."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("restante", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("restante")
