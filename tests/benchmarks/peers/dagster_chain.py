"""Runs in Dagster's environment: carries out the job named on stdin, line after line, on one instance."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from dagster import (
    DagsterInstance,
    In,
    Nothing,
    Out,
    execute_job,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    reconstructable,
)

LENGTH = int(os.environ["CHAIN_LENGTH"])
# Forks of a server that has everything imported: twice as fast as the default, a new interpreter per step.
FORKS = {"start_method": {"forkserver": {"preload_modules": ["dagster", "dagster_chain"]}}}
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@op(out=Out(Nothing))
def first() -> None:
    """The first step."""
    time.sleep(0.01)


@op(ins={"before": In(Nothing)}, out=Out(Nothing))
def step() -> None:
    """Each further one."""
    time.sleep(0.01)


def steps() -> None:
    """The chain itself."""
    last = first()
    for number in range(1, LENGTH):
        last = step.alias(f"s{number}")(last)


@job(executor_def=in_process_executor)
def in_process() -> None:
    """All steps in the process that asked."""
    steps()


@job(executor_def=multiprocess_executor.configured(FORKS))
def process_per_step() -> None:
    """A process for each step."""
    steps()


def main(answers: TextIO) -> None:
    """Serve until stdin closes."""
    import dagster_chain  # by its name: the processes of the steps must find it again

    jobs = {one: reconstructable(getattr(dagster_chain, one)) for one in ("in_process", "process_per_step")}
    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with DagsterInstance.get() as instance:
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            began = time.perf_counter()
            result = execute_job(jobs[line.strip()], instance=instance, run_config=QUIET)
            seconds = time.perf_counter() - began
            if not result.success or not instance.get_run_by_id(result.run_id).is_success:
                raise RuntimeError("the job did not succeed")
            print(json.dumps({"seconds": seconds}), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "w") as answers:
        try:
            main(answers)
        except Exception as error:
            print(json.dumps({"problem": repr(error)}), file=answers, flush=True)
            raise
