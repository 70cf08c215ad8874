#!/usr/bin/env bash
# Run a small workflow of perrin through profiles/slurm on a Slurm that this script starts on this machine.
# Where it cannot (not root, packages slurm-wlm and munge missing, a Slurm of its own already there) it says why and
# ends with 0. Needs snakemake and its Slurm plugin on PATH. With --kill the node's slurmd is killed (SIGKILL) while a
# job runs, and started again: the workflow has to end well nevertheless. With --demo it is the whole demo, to its
# report, and not the first stages on as small a movie as they take.
set -uo pipefail
kill_slurmd=
config=('demo={state_frames: 60}')
target=results/demo/denoise/denoised.mrcs
for option in "$@"; do
  case $option in
    --kill) kill_slurmd=yes ;;
    --demo) config=('demo={}') target=results/report/index.html ;;
    *) echo "unknown option $option; known are --kill and --demo"; exit 2 ;;
  esac
done
home=$(cd "$(dirname "$0")/../.." && pwd)
skip() { echo "skipped: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "a Slurm can only be started by root"
for program in munged mungekey slurmctld slurmd sbatch squeue; do
  command -v "$program" >/dev/null || skip "$program is missing (Debian: apt-get install slurm-wlm munge)"
done
[ -e /etc/slurm/slurm.conf ] && skip "this machine has a Slurm configuration of its own"
pgrep -x slurmctld >/dev/null && skip "a Slurm controller runs on this machine already"
command -v snakemake >/dev/null || skip "snakemake is not on PATH"
python -c 'import snakemake_executor_plugin_slurm' 2>/dev/null || skip "snakemake-executor-plugin-slurm is not installed"

scratch=$(mktemp -d)
chmod 755 "$scratch"
mkdir "$scratch/state" "$scratch/spool" "$scratch/run"
host=$(hostname -s)
# nproc says 1 where OMP_NUM_THREADS is 1: jobs of two threads would wait for ever
cpus=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
cat >"$scratch/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd.log
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=$host CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
# jobs on the node do not inherit SLURM_CONF, so that the file has to be where Slurm looks for it
mkdir -p /etc/slurm && cp "$scratch/slurm.conf" /etc/slurm/slurm.conf

munge_pid=
workflow=
stop() { # what was started here, by its ids
  [ -n "$workflow" ] && kill -KILL "$workflow" 2>/dev/null
  for file in slurmd slurmctld; do [ -f "$scratch/$file.pid" ] && kill "$(cat "$scratch/$file.pid")" 2>/dev/null; done
  [ -n "$munge_pid" ] && kill "$munge_pid" 2>/dev/null
  sleep 1
  rm -rf "$scratch" /etc/slurm/slurm.conf
}
trap stop EXIT

if ! pgrep -x munged >/dev/null; then
  [ -f /etc/munge/munge.key ] || mungekey -c || skip "no munge key and none can be made"
  mkdir -p /run/munge /var/log/munge /var/lib/munge
  chown -R munge /etc/munge /run/munge /var/log/munge /var/lib/munge
  su -s /bin/sh munge -c munged || skip "munged does not start"
  for _ in $(seq 10); do [ -s /run/munge/munged.pid ] && break; sleep 1; done
  munge_pid=$(cat /run/munge/munged.pid) # pgrep may still see the process that it forked from
fi
slurmctld && slurmd || { cat "$scratch"/*.log; echo "FAILED: Slurm does not start"; exit 1; }
for _ in $(seq 30); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 1; done
sinfo -h -o %T | grep -q idle || { cat "$scratch"/*.log; echo "FAILED: the node does not come up"; exit 1; }

cd "$scratch/run" || exit 1
begun=$SECONDS
snakemake --snakefile "$home/Snakefile" --profile "$home/profiles/slurm" --directory "$scratch/run" \
  --slurm-status-command squeue --slurm-init-seconds-before-status-checks 2 --seconds-between-status-checks 3 \
  --latency-wait 20 --default-resources slurm_account=none runtime=10 mem_mb=1000 \
  --max-threads "$cpus" \
  --config "${config[@]}" -- "$target" &
workflow=$!
if [ -n "$kill_slurmd" ]; then
  for _ in $(seq 600); do
    running=$(squeue -h -t R -o %i | head -1)
    [ -n "$running" ] && break
    kill -0 $workflow 2>/dev/null || break
    sleep 0.2
  done
  kill -KILL "$(cat "$scratch/slurmd.pid")"
  echo "killed slurmd while job ${running:-none} ran"
  sleep 5
  slurmd || echo "slurmd does not start again"
fi
wait $workflow
code=$?
workflow=
if [ $code != 0 ] || [ ! -s "$target" ]; then
  cat logs/demo/*.log .snakemake/slurm_logs/*/*.log 2>/dev/null | tail -50
  echo "FAILED: the workflow did not end well on Slurm (exit code $code)"
  exit 1
fi
jobs=$(grep -oh 'submitted with SLURM jobid [0-9]*' .snakemake/log/*.log | sort -u | wc -l)
echo "passed: $(find logs -name '*.log' | wc -l) stages ran as $jobs Slurm jobs in $((SECONDS - begun)) s"
