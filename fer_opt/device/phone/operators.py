"""What each operator of a model takes, from one more process: profiling slows the model down."""

from __future__ import annotations

from fer_opt.device.benchmark_model import parse_operator_profile
from fer_opt.device.phone.device import PhoneDevice, PlacedModel
from fer_opt.device.phone.results import OperatorTime

__all__ = ["NO_FLAG", "can_profile", "profile_operators"]

NO_FLAG = (
    "Operators were not profiled: this build of the runner cannot (it lacks "
    "--enable_op_profiling); take another one."
)


def can_profile(device: PhoneDevice) -> bool:
    """Whether this build of the runner tells operators' times."""
    return "enable_op_profiling" in device.flags


def profile_operators(device: PhoneDevice, placed: PlacedModel) -> tuple[OperatorTime, ...]:
    """Time every operator in one process, in run order.

    Raises:
        MeasurementError: the runner failed or printed no whole profile.
        PhoneError: the phone is gone or cannot be used.
    """
    request = device.request(placed, 0, operator_profile=True)
    printed, _ = device.steady.run(lambda: device.run(request))
    return tuple(
        OperatorTime(
            model=placed.prepared.job.model,
            place=place,
            kind=row.kind,
            name=row.name,
            mean_ms=row.mean_ms,
            share=row.share,
        )
        for place, row in enumerate(parse_operator_profile(printed))
    )
