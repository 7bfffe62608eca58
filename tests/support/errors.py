"""What a call raises, as the message that a user reads."""

from __future__ import annotations

import pytest

from fashionai.errors import DataError


def error_of(call, *arguments, kind: type[Exception] = DataError, **options) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    return str(caught.value)
