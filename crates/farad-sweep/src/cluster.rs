//! A sweep as jobs of a cluster's own scheduler.
//!
//! A job is a chunk of points that `farad sweep run-point` runs into a shard of its own. It may be killed and started again
//! at any time: it goes on with its shard. Nothing on a network file system has two writers.

use crate::numbers::Numbers;
use crate::plan::Point;
use crate::shard::SHARD_SUFFIX;
use std::path::PathBuf;

/// Tasks of one job array; SLURM's default `MaxArraySize` is 1001 (slurm.conf(5)).
const MOST_TASKS: usize = 1000;
/// Time that a scheduler is asked for, over the estimate: nodes differ, and a task that is cut off has to start again.
const TIME_MARGIN: f64 = 3.0;
/// Time for starting and loading, s.
const STARTING_S: f64 = 60.0;

/// Points that one job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Their numbers.
    pub points: Numbers,
    /// Estimated time on one thread, s.
    pub work_s: f64,
}

/// Cuts `points`, whose work takes `work_s` altogether, into chunks of about `chunk_s`, at least one point in each.
#[must_use]
pub fn chunks(points: &[&Point], work_s: f64, chunk_s: f64) -> Vec<Chunk> {
    let all: u64 = points.iter().map(|point| point.work()).sum();
    let chunk_s = chunk_s.max(work_s / MOST_TASKS as f64);
    let mut chunks = Vec::new();
    let mut rest = points;
    while !rest.is_empty() {
        let (mut taken, mut seconds) = (0, 0.0);
        while taken < rest.len() && (taken == 0 || seconds < chunk_s) {
            seconds += work_s * rest[taken].work() as f64 / all.max(1) as f64;
            taken += 1;
        }
        chunks.push(Chunk {
            points: rest[..taken].iter().map(|point| point.index).collect(),
            work_s: seconds,
        });
        rest = &rest[taken..];
    }
    chunks
}

/// A sweep to be run by a cluster. All paths are absolute, and the same on every node.
#[derive(Debug, Clone)]
pub struct ClusterJob {
    /// Of the experiment.
    pub name: String,
    /// The `farad` program.
    pub program: PathBuf,
    /// The experiment's file.
    pub experiment: PathBuf,
    /// Where scripts, shards and logs are.
    pub folder: PathBuf,
    /// Points at a time of one job.
    pub cpus: usize,
    /// Memory of one job, MB.
    pub memory_mb: u64,
    /// One for each job.
    pub chunks: Vec<Chunk>,
}

impl ClusterJob {
    /// Numbers of points, a line for each chunk.
    #[must_use]
    pub fn list(&self) -> String {
        self.chunks.iter().map(|chunk| format!("{}\n", chunk.points)).collect()
    }

    /// Minutes to ask for: those of the longest chunk.
    fn minutes(&self) -> u64 {
        let longest = self.chunks.iter().map(|chunk| chunk.work_s).fold(0.0, f64::max);
        ((TIME_MARGIN * longest / self.cpus as f64 + STARTING_S) / 60.0).ceil() as u64
    }

    /// A job array for `sbatch` (sbatch(1)).
    #[must_use]
    pub fn slurm(&self) -> String {
        let folder = self.folder.display().to_string();
        let chunk_list = quoted(&format!("{folder}/chunks.txt"));
        format!(
            "#!/bin/bash\n\
             # Written by `farad sweep export`. A task that is requeued goes on with its shard.\n\
             #SBATCH --job-name={}\n\
             #SBATCH --array=1-{}\n\
             #SBATCH --time={}\n\
             #SBATCH --mem={}M\n\
             #SBATCH --cpus-per-task={}\n\
             #SBATCH --requeue\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --output={}\n\
             set -euo pipefail\n\
             points=$(sed -n \"${{SLURM_ARRAY_TASK_ID}}p\" {chunk_list})\n\
             exec {} -q sweep run-point {} --points \"$points\" --jobs {} \\\n    --shard {}/\"$SLURM_ARRAY_TASK_ID\"{SHARD_SUFFIX}\n",
            quoted(&format!("farad-{}", self.name)),
            self.chunks.len(),
            self.minutes(),
            self.memory_mb,
            self.cpus,
            quoted(&format!("{folder}/logs/%a.log")),
            quoted(&self.program.display().to_string()),
            quoted(&self.experiment.display().to_string()),
            self.cpus,
            quoted(&format!("{folder}/shards")),
        )
    }

    /// A job definition file for `hq job submit-file`.
    #[must_use]
    pub fn hyperqueue(&self) -> String {
        let folder = self.folder.display().to_string();
        let mut text = format!(
            "# Written by `farad sweep export`. A task that is restarted goes on with its shard.\nname = {}\n",
            toml_text(&format!("farad-{}", self.name))
        );
        for (i, chunk) in self.chunks.iter().enumerate() {
            let id = i + 1;
            let command = [
                self.program.display().to_string(),
                "-q".to_owned(),
                "sweep".to_owned(),
                "run-point".to_owned(),
                self.experiment.display().to_string(),
                "--points".to_owned(),
                chunk.points.to_string(),
                "--jobs".to_owned(),
                self.cpus.to_string(),
                "--shard".to_owned(),
                format!("{folder}/shards/{id}{SHARD_SUFFIX}"),
            ];
            let command: Vec<String> = command.iter().map(|word| toml_text(word)).collect();
            let log = toml_text(&format!("{folder}/logs/{id}.log"));
            text += &format!(
                "\n[[task]]\nid = {id}\ncommand = [{}]\nstdout = {log}\nstderr = {log}\n[[task.request]]\nresources = {{ \"cpus\" = {} }}\n\
                 time_request = \"{}m\"\n",
                command.join(", "),
                self.cpus,
                self.minutes()
            );
        }
        text
    }
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+%".contains(c);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A TOML string.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(chunks: Vec<Chunk>) -> ClusterJob {
        ClusterJob {
            name: "adc noise".to_owned(),
            program: "/opt/farad".into(),
            experiment: "/data/o'hara/e.toml".into(),
            folder: "/scratch/sweep".into(),
            cpus: 2,
            memory_mb: 512,
            chunks,
        }
    }

    fn point(index: usize, images: usize) -> Point {
        Point {
            index,
            rows: Vec::new(),
            key: String::new(),
            images,
            chips: 1,
            shortened: false,
            workload: 0,
        }
    }

    #[test]
    fn chunks_take_as_long_as_they_should_and_every_point_once() {
        let points: Vec<Point> = (0..10).map(|i| point(2 * i, 100)).collect();
        let points: Vec<&Point> = points.iter().collect();
        let cut = chunks(&points, 100.0, 30.0);
        let lists: Vec<String> = cut.iter().map(|c| c.points.to_string()).collect();
        assert_eq!(lists, ["0,2,4", "6,8,10", "12,14,16", "18"]);
        assert!((cut[0].work_s - 30.0).abs() < 1e-9);
        assert_eq!(chunks(&points, 100.0, 0.0).len(), 10);
        assert_eq!(chunks(&points, 100.0, 1e9).len(), 1);
        let many: Vec<Point> = (0..5000).map(|i| point(i, 1)).collect();
        let many: Vec<&Point> = many.iter().collect();
        assert!(chunks(&many, 5000.0, 1.0).len() <= MOST_TASKS);
    }

    #[test]
    fn scripts_quote_what_they_name() {
        let chunk = |numbers: &str| Chunk {
            points: numbers.parse().unwrap(),
            work_s: 600.0,
        };
        let job = job(vec![chunk("0-3"), chunk("7")]);
        assert_eq!(job.list(), "0-3\n7\n");
        let script = job.slurm();
        for line in [
            "#SBATCH --job-name='farad-adc noise'",
            "#SBATCH --array=1-2",
            "#SBATCH --time=16",
            "#SBATCH --mem=512M",
            "exec /opt/farad -q sweep run-point '/data/o'\\''hara/e.toml' --points \"$points\" --jobs 2 \\",
            "    --shard /scratch/sweep/shards/\"$SLURM_ARRAY_TASK_ID\".shard.gz",
        ] {
            assert!(script.lines().any(|l| l == line), "{line} is not in\n{script}");
        }
        let file: toml::Table = job.hyperqueue().parse().unwrap();
        let task = &file["task"].as_array().unwrap()[1];
        let command: Vec<&str> = task["command"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|w| w.as_str())
            .collect();
        assert_eq!(command[4..7], ["/data/o'hara/e.toml", "--points", "7"]);
        assert_eq!(task["request"][0]["time_request"].as_str(), Some("16m"));
    }
}
