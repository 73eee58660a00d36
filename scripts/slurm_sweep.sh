#!/usr/bin/env bash
# A sweep as a SLURM job array, on this machine: two nodes, one killed mid-way, its tasks requeued, the shards merged, the
# results compared with those of the same sweep without SLURM, bit for bit.
#
#   scripts/slurm_sweep.sh FARAD [POINTS]
#
# Needs root; installs slurm-wlm and munge where they are missing (Debian). Nothing outside a temporary folder is left
# behind but the packages.
set -euo pipefail

farad=$(realpath "$1")
points=${2:-60}
work=$(mktemp -d)
host=$(hostname -s)
export SLURM_CONF=$work/slurm.conf

if ! { command -v slurmctld && command -v slurmd && command -v munged; } >/dev/null; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q slurm-wlm munge
fi

cat >"$SLURM_CONF" <<CONF
ClusterName=farad
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobRequeue=1
ReturnToService=2
SlurmctldPort=26817
SlurmctldPidFile=$work/slurmctld.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdPidFile=$work/slurmd-%n.pid
SlurmdLogFile=$work/slurmd-%n.log
SlurmdSpoolDir=$work/spool-%n
StateSaveLocation=$work/state
NodeName=node1 NodeHostname=$host Port=26818 CPUs=1 RealMemory=4000
NodeName=node2 NodeHostname=$host Port=26819 CPUs=1 RealMemory=4000
PartitionName=all Nodes=node1,node2 Default=YES State=UP
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
CONF
mkdir -p "$work"/{state,spool-node1,spool-node2,munge}

# Ends what this script started, by number.
pids=()
cleanup() {
    local code=$?
    scancel --quiet --user root 2>/dev/null || true
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    # They write on their way out: munged its seed, slurmd its log.
    wait "${pids[@]}" 2>/dev/null || true
    if [ "$code" = 0 ]; then rm -rf "$work"; else echo "logs are in $work" >&2; fi
}
trap cleanup EXIT

# Munge refuses a socket and a key that others could reach.
head -c 1024 /dev/urandom >"$work/munge/key"
chmod 600 "$work/munge/key"
chmod 711 "$work" && chmod 711 "$work/munge"
munged --foreground --force --socket="$work/munge/socket" --key-file="$work/munge/key" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed" 2>"$work/munge/out" &
pids+=($!)
until [ -S "$work/munge/socket" ]; do sleep 0.1; done
slurmctld -D >"$work/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D -N node1 >"$work/node1.out" 2>&1 &
pids+=($!)
slurmd -D -N node2 >"$work/node2.out" 2>&1 &
node2=$!
pids+=("$node2")
for _ in $(seq 300); do
    [ "$(sinfo --noheader --format=%D --states=idle 2>/dev/null | tr -d ' ')" = 2 ] && break
    sleep 0.2
done
sinfo

cd "$work"
cat >experiment.toml <<TOML
[base]
images = 1000
chips = 2
[axes]
adc.bits = [5, 6, 7, 8]
seed = { from = 1, to = $((points / 4)) }
TOML
# Several points to a task, so that a task is killed with some of them done, and several tasks. How long a point takes
# is an estimate, so the length of a task is tried.
for minutes in 0.02 0.1 0.3 1 3 10; do
    "$farad" -q sweep export experiment.toml --slurm job --chunk "$minutes"
    tasks=$(wc -l <job/chunks.txt)
    [ "$tasks" -le $((points / 3)) ] && break
done
job=$(sbatch --parsable job/job.sh)
echo "$points points in $tasks tasks, job $job"

# Node 2 dies with its task, soon after it has one.
until [ -n "$(squeue --noheader --nodelist=node2 --states=running --format=%i)" ]; do sleep 0.1; done
sleep 0.5
victim=$(squeue --noheader --nodelist=node2 --states=running --format=%i)
kill -KILL "$node2"
# The task's keeper first: it would report the task's end, and a dead node reports nothing.
for pid in $(pgrep -x farad || true); do
    if grep -qz "SLURMD_NODENAME=node2" "/proc/$pid/environ" 2>/dev/null; then
        kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid" || true
    fi
done
scontrol update NodeName=node2 State=DOWN Reason=killed
echo "killed node2 with task ${victim:-none}"
# SLURM lets a requeued task wait for two minutes.
for _ in $(seq 100); do
    scontrol show job "$job" | grep -q "Restarts=[1-9]" && break
    sleep 0.1
done
scontrol update JobId="$victim" StartTime=now

until [ -z "$(squeue --noheader --job "$job" 2>/dev/null)" ]; do sleep 0.5; done
scontrol show job "$job" | grep -q "Restarts=[1-9]" || { echo "no task was requeued" >&2; exit 1; }

"$farad" sweep merge away job/shards
"$farad" -q sweep export experiment.toml --out away --csv away.csv
"$farad" -q sweep experiment.toml --out home >/dev/null
"$farad" -q sweep export experiment.toml --out home --csv home.csv
cmp away.csv home.csv
[ "$(wc -l <home.csv)" = $((points / 4 * 4 + 1)) ]
echo "$(($(wc -l <home.csv) - 1)) results through SLURM equal those without it"
