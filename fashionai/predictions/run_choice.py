"""Which runs predict which tasks: those that are named, or the best finished one per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional, Union

from fashionai.errors import RunError
from fashionai.files.paths import PathLike
from fashionai.runs import (
    Run,
    best_finished_runs,
    check_consistent_classes,
    find_runs,
    learnt_tasks,
    open_runs,
)
from fashionai.tasks import Task


class Candidates(NamedTuple):
    """Runs to choose from.

    All that are ``named`` have to be used, and those of one task are averaged. Of others
    the best finished run of each task is used.
    """

    runs: list[Run]
    named: bool

    @classmethod
    def open(cls, runs: Sequence[Union[PathLike, Run]], crop: Optional[int] = None) -> Candidates:
        """The runs in these folders; without folders, all runs in the default folder.

        ``crop`` is the side in pixels of the crops to predict with, by default that of training.
        """
        named = open_runs(runs)
        return cls([run.at_crop(crop) for run in named or find_runs()], bool(named))

    @property
    def tasks(self) -> list[Task]:
        """The tasks that any of the runs has learnt."""
        return learnt_tasks(self.runs)

    @property
    def usable_tasks(self) -> list[Task]:
        """The tasks of named runs, else those of finished runs.

        Raises RunError for a task that they know with different classes.
        """
        tasks = self.tasks if self.named else learnt_tasks(self._finished())
        check_consistent_classes(tasks)
        return tasks

    def by_task(self, tasks: Sequence[Task]) -> dict[Task, list[Run]]:
        """The runs that predict each of these tasks.

        Raises RunError for a task without a run, and for a named run that none of the tasks uses.
        """
        return self._named_by_task(tasks) if self.named else self._best_by_task(tasks)

    def _best_by_task(self, tasks: Sequence[Task]) -> dict[Task, list[Run]]:
        wanted = {task.name for task in tasks}
        finished = learnt_tasks(self._finished())
        check_consistent_classes([task for task in finished if task.name in wanted])
        return best_finished_runs(tasks, self.runs)

    def _named_by_task(self, tasks: Sequence[Task]) -> dict[Task, list[Run]]:
        assigned: dict[Task, list[Run]] = {task: [] for task in tasks}
        for run in self.runs:
            if not any(task in assigned for task in run.tasks):
                names = ", ".join(task.name for task in run.tasks)
                raise RunError(
                    f"{run}: was trained for {names}, and only "
                    f"{', '.join(task.name for task in tasks)} is to be predicted",
                    "Give --task with a task of the run, or leave the run out",
                )
            for task in run.tasks:
                if task in assigned:
                    assigned[task].append(run)
        without = [task.name for task in tasks if not assigned[task]]
        if without:
            raise RunError(
                f"no --run for {', '.join(without)}",
                "Name one for each task, or choose with --task",
            )
        return assigned

    @property
    def unfinished(self) -> list[Run]:
        """The runs whose training has stopped before its end, or goes on."""
        return [run for run in self.runs if not run.is_finished]

    def _finished(self) -> list[Run]:
        return [run for run in self.runs if run.is_finished]
