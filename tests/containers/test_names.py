# SPDX-License-Identifier: MIT
"""Names in a container network: a service is scaled, replaced and gone for a while under load, as `docker compose up -d
--scale`, `--build`, `down` and `up` do it.
"""

import pytest
from stack import PATIENCE, Loads, Stack, asked_for
from wire import wait_until

pytestmark = asked_for


@pytest.fixture
def stack(tmp_path):
    with Stack(tmp_path) as stack:
        yield stack


def test_scaled_replaced_and_gone_under_load(stack):
    first = stack.up()
    stack.up('web-async')
    wait_until(lambda: stack.answers() and stack.answers('/async/hello/'), PATIENCE)
    stack.wait_up(1)

    with Loads(stack) as loads:
        more = [stack.up(), stack.up()]
        stack.wait_up(3)
        wait_until(lambda: min(stack.servers(key='responses').values()) > 10, PATIENCE)
        loads.wait_more()
    loads.nothing_was_lost()

    with Loads(stack) as loads:  # back to one: they are stopped first, and their addresses leave after that
        for name in more:
            stack.down(name)
        stack.wait_up(1)
        loads.wait_more()
    loads.nothing_was_lost()

    with Loads(stack) as loads:  # replaced: a while with nobody there, and then another address
        before = set(stack.servers())
        stack.down(first)
        second = stack.up()
        wait_until(lambda: set(stack.servers()) and not set(stack.servers()) & before, PATIENCE)
        stack.wait_up(1)
        loads.wait_more()
    loads.nothing_was_lost()

    with Loads(stack) as loads:  # gone for a while
        stack.down(second)
        wait_until(lambda: not stack.servers(), PATIENCE)
        assert 'name_gone' in stack.log()
        stack.up()
        stack.wait_up(1)
        loads.wait_more()
    loads.nothing_was_lost()


def test_the_async_half_is_replaced(stack):
    """uvicorn leaves its running requests their time, and streams as well; new requests wait for the new container."""
    stack.up()
    first = stack.up('web-async')
    wait_until(lambda: stack.answers() and stack.answers('/async/hello/'), PATIENCE)
    with Loads(stack) as loads:
        before = set(stack.servers('async'))
        stack.down(first)
        stack.up('web-async')
        wait_until(lambda: set(stack.servers('async')) and not set(stack.servers('async')) & before, PATIENCE)
        stack.wait_up(1, 'async')
        loads.wait_more()
    loads.nothing_was_lost()
