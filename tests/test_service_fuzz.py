"""Whatever the OpenAPI document of the service allows, and much that it does not, gets an answer
that the document describes.
"""

import os

import pytest

from seeds import SEED
from services import serving

pytestmark = [pytest.mark.long, pytest.mark.server, pytest.mark.soak]
CASES = 1000 if SEED in os.environ else 60  # `make soak`


def test_cases_of_the_openapi_document(built, tmp_path, seed):
    schemathesis = pytest.importorskip(
        "schemathesis", reason="needs the packages of tests/requirements-servers.txt"
    )
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import seed as seeded
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
    )

    checks = [not_a_server_error, content_type_conformance, response_schema_conformance]
    with serving(built.folder, tmp_path / "service") as service:
        document = service.get("/openapi.json").json
        schema = schemathesis.openapi.from_dict(document)
        operations = [operation.ok() for operation in schema.get_all_operations()]
        assert len(operations) >= 15
        asked = []
        for operation in operations:

            @seeded(seed)
            @settings(
                max_examples=CASES // 10,  # some operations have few cases
                deadline=None,
                database=None,
                phases=[Phase.generate],
                verbosity=Verbosity.quiet,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def ask(case):
                asked.append(case)
                case.call_and_validate(
                    base_url=f"http://127.0.0.1:{service.port}", checks=checks, timeout=60
                )

            ask()
        answers = [line for line in service.lines() if line.get("route") != "/readyz"]
        statuses = {line["status"] for line in answers if "status" in line}
        assert {200, 422} <= statuses
        assert max(statuses) < 500, [line for line in answers if line.get("status", 0) >= 500]
        assert len(asked) >= CASES, len(asked)
