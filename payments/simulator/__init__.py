"""The gateway's stand-in: a process of its own that speaks PayChangu's dialect.

It imports nothing of the system it tests, and that system cannot tell it from the real
gateway but for the base URL. Run it with `python -m payments.simulator` or
`manage.py paychangu_simulator`.

The hosted page is one form: `POST /checkout/<id>` with `method` (`mobile_money`,
`card`, `bank`), `operator` and `phone`, or `card_number`, and `action` (`pay`, `fail`,
`cancel`). `GET /` lists what happened; `/_control/` is the same for programs.
"""

from __future__ import annotations
