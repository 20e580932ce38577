"""Whether a run of load was what it was meant to be: the client's own faults, named.

The checks are Lancet's (M. Kogias, S. Mallon, E. Bugnion, USENIX ATC 2019: the rate achieved, the
sending on time), k6's (`dropped_iterations`), and J. D. C. Little's law L = λW (Operations Research
9, 1961) as a detector of rows that were lost or counted twice, and of nothing else. They are not
blind to the arm where client and server share two cores, so rejections are counted for each arm;
see `claims.unequal`.
"""

from __future__ import annotations

import numpy as np

from lab_apps.instruments import sequential
from lab_apps.instruments.trial import BEYOND, Trial, percentile_ms

LATE_SHARE, LATE_LEVEL = 0.01, 0.05
LAG_MS, LAG_SHARE = 2.0, 0.1  # p99 of the send lag, the larger of the two counts
CLIENT_CPU = 0.5  # of a core: beyond it requests wait for the client
LITTLE, LITTLE_S = 0.05, 2.0


def faults(trial: Trial) -> list[str]:
    """What was wrong with the client in this trial, one sentence each; [] where nothing was.

    Every request that was due must have been sent; the p99 of the send lag must stay within 2 ms or
    10% of the median response, whichever is more; the client within 50% of a core; and in trials of
    2 s or more the mean number in flight, as the sender counted it, within 5% of rate times mean
    response, as the rows have it. A p99 takes 1,000 requests; of fewer so many may be late as 1%
    explains (binomial, at 5%: 1 of 20, 2 of 80). Requests that failed for other reasons are the
    trial's `errors`.
    """
    found = [_unsent(trial), _late(trial), _busy(trial), _miscounted(trial)]
    return [fault for fault in found if fault]


def little(trial: Trial) -> tuple[float, float]:
    """Mean number of requests in flight: L as the sender counted it, and λW from the rows.

    Over the time from the first intended instant to the last answer, in which every request
    begins and ends. nan where nothing was sent, or nothing was counted.
    """
    sent = trial.rows[trial.rows["sent_ns"] > 0]
    if not len(sent) or trial.in_flight_s is None:
        return float("nan"), float("nan")
    span_s = (sent["done_ns"].max() - sent["intended_ns"].min()) / 1e9
    rate, response_s = len(sent) / span_s, float(np.mean(trial.response_ms)) / 1e3
    return trial.in_flight_s / span_s, rate * response_s


def _unsent(trial: Trial) -> str:
    never = int(np.count_nonzero(trial.rows["sent_ns"] == 0))
    if never:
        return f"{never} requests were never sent"
    for index, (name, due) in enumerate(zip(trial.streams, trial.scheduled, strict=False)):
        rows = int(np.count_nonzero(trial.rows["stream"] == index))
        if due is not None and rows != due:
            return f"{due} requests of {name!r} were due and {rows} are on record"
    return ""


def _late(trial: Trial) -> str:
    lags_ms = trial.send_lag_ms
    limit_ms = max(LAG_MS, LAG_SHARE * percentile_ms(trial.response_ms, 50))
    n, late = len(lags_ms), int(np.count_nonzero(lags_ms > limit_ms))
    lag_ms = percentile_ms(lags_ms, 99)
    if n * LATE_SHARE >= BEYOND:
        fault = lag_ms > limit_ms
    else:
        fault = late > 0 and sequential.tail(n - late, n, 1 - LATE_SHARE) < LATE_LEVEL
    return f"send lag over {limit_ms:.1f} ms in {late} of {n}, p99 {lag_ms:.1f}" if fault else ""


def _busy(trial: Trial) -> str:
    share = trial.client_cpu_s / trial.seconds if trial.seconds else 0.0
    return f"the client took {share:.0%} of a core" if share > CLIENT_CPU else ""


def _miscounted(trial: Trial) -> str:
    counted, by_rows = little(trial)
    if trial.seconds < LITTLE_S or not abs(counted / by_rows - 1) > LITTLE:
        return ""
    return f"{counted:.3g} requests in flight counted, {by_rows:.3g} by the rows (Little's law)"
