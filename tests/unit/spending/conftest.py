import model_server
import pytest


@pytest.fixture
def server():
    with model_server.ModelServer() as running:
        yield running
