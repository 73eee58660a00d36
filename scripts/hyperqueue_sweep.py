"""A sweep through HyperQueue, on this machine: the exported jobs on a local server with two workers, the shards merged, the results
compared with those of the same sweep without HyperQueue, bit for bit.

    pip install hyperqueue
    python3 scripts/hyperqueue_sweep.py FARAD [POINTS]

The package brings HyperQueue's library and not its program `hq`, so the tasks of `job.toml` are submitted one by one.
"""

import pathlib
import subprocess
import sys
import tempfile
import tomllib

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

EXPERIMENT = """
[base]
images = 100
[axes]
adc.bits = [5, 6, 7, 8]
seed = {{ from = 1, to = {seeds} }}
"""


def main(farad: pathlib.Path, points: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "experiment.toml").write_text(EXPERIMENT.format(seeds=points // 4))

        def run(*arguments: str) -> None:
            subprocess.run([farad, "-q", "sweep", *arguments], cwd=work, check=True, stdout=subprocess.DEVNULL)

        # How long a point takes is an estimate, so the length of a task is tried.
        for minutes in ["0.02", "0.1", "0.3", "1", "3", "10"]:
            run("export", "experiment.toml", "--hyperqueue", "job", "--chunk", minutes)
            tasks = tomllib.loads((work / "job/job.toml").read_text())["task"]
            if len(tasks) <= 12:
                break
        print(f"{points} points in {len(tasks)} tasks")
        with LocalCluster(server_dir=str(work / "server")) as cluster:
            for _ in range(2):
                cluster.start_worker(WorkerConfig(cores=1))
            client = cluster.client()
            job = Job(default_workdir=work)
            for task in tasks:
                job.program(task["command"], stdout=task["stdout"], stderr=task["stderr"])
            client.wait_for_jobs([client.submit(job)])
        run("merge", "away", "job/shards")
        run("export", "experiment.toml", "--out", "away", "--csv", "away.csv")
        run("experiment.toml", "--out", "home")
        run("export", "experiment.toml", "--out", "home", "--csv", "home.csv")
        away, home = ((work / name).read_text() for name in ["away.csv", "home.csv"])
        assert away == home, "the results differ"
        assert len(home.splitlines()) == points // 4 * 4 + 1, "not all points have a result"
        print(f"{len(home.splitlines()) - 1} results through HyperQueue equal those without it")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 60)
