#!/usr/bin/env bash
# A real Ceph object gateway for tests and benchmarks: one monitor, one OSD and one radosgw on
# loopback, without containers, systemd or root. Everything lives in one folder.
#
#   rgw.sh start        starts the daemons that do not run; prints the same as `env`. Several calls at once
#                       for one folder wait for each other.
#   rgw.sh env          endpoint, keys and bucket as lines of VARIABLE=value
#   rgw.sh kill WHICH   SIGKILL to mon, osd or rgw; `start` brings it back with its data
#   rgw.sh stop         stops all daemons and removes the folder
#   rgw.sh run          starts a new cluster, and stops it on SIGTERM or SIGINT: for a container
#
# RGW_DIR      the folder; its path has to be short, as it contains sockets (default /tmp/tidemark-rgw)
# RGW_OWNER    a process id; when that process has exited, all daemons are stopped
# RGW_PORT     the gateway's port (default: a free one)
# RGW_LISTEN   the gateway's address (default 127.0.0.1)
# RGW_BUCKET   the bucket (default tidemark-test); `start` makes it where it is missing
# RGW_NODELAY  1 (default) or 0: tcp_nodelay of radosgw, whose own default is 0
# RGW_LEAST_PART_BYTES  the smallest part, but for the last, that the gateway takes (default 5 MiB, as Ceph's)
# RGW_DISK_BYTES  the size of the OSD's sparse file (default 16 GiB)
#
# Tried with 16.2.15 of Debian 12:
#   apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common curl
set -euo pipefail

dir=${RGW_DIR:-/tmp/tidemark-rgw}
conf=$dir/ceph.conf
access_key=tidemark-test
secret_key=tidemark-test-secret-0123456789
bucket=${RGW_BUCKET:-tidemark-test}
region=us-east-1
cluster_id=7d1f0a52-4c1e-4a57-9a3b-0c5d3b8f2e10
osd_id=7d1f0a52-4c1e-4a57-9a3b-0c5d3b8f2e11
# Settings of a cluster of this machine must not be used.
unset CEPH_ARGS
export CEPH_CONF=$conf

formatting=
fail() {
  # Otherwise the background job would write into a folder that is being removed.
  [ -z "$formatting" ] || { kill -KILL "$formatting" && wait "$formatting"; } 2>/dev/null || true
  echo "rgw.sh: $*" >&2
  exit 1
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the range of ports for outgoing connections, so that a killed daemon finds its port free when it starts again.
free_port() {
  local from=$1 port
  while :; do
    port=$((from + RANDOM % 6000))
    listens "$port" || { echo "$port"; return; }
  done
}

# Another process may have reused the id: ours has our folder on its command line.
runs() { [ -s "$dir/$1.pid" ] && grep -aqsF "$conf" "/proc/$(<"$dir/$1.pid")/cmdline"; }

launch() {
  local name=$1; shift
  # The daemon must not inherit the lock of `start`, which it would hold as long as it runs.
  setsid "$@" </dev/null >"$dir/log/$name.out" 2>&1 9>&- &
  echo $! >"$dir/$name.pid"
}

# Whether a daemon has exited, or is a zombie: only then are its files and sockets closed.
has_ended() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  [[ $stat =~ \)\ [ZX]\  ]]
}

# wait_until NAME COMMAND...: waits until the command succeeds; fails when the daemon exits before, or after 30 s.
wait_until() {
  local name=$1 deadline=$((SECONDS + 30)); shift
  sleep 0.01
  until "$@" >/dev/null 2>&1; do
    # Not `runs`: on a busy machine, the new process may not have executed the daemon yet.
    if has_ended "$(<"$dir/$name.pid")" || [ $SECONDS -gt $deadline ]; then
      tail -n 20 "$dir/log/$name.out" "$dir/log/$name.log" >&2 2>/dev/null || true
      fail "$name did not come up"
    fi
    sleep 0.02
  done
}

kill_daemon() {
  runs "$1" || return 0
  local pid; pid=$(<"$dir/$1.pid")
  kill -KILL "$pid" 2>/dev/null || true
  until has_ended "$pid"; do sleep 0.01; done
}

write_conf() {
  local classes
  classes=$(compgen -G '/usr/lib*/*/rados-classes' || compgen -G '/usr/lib*/rados-classes') || fail 'no rados-classes folder'
  cat >"$conf" <<CONF
[global]
  fsid = $cluster_id
  mon_host = v2:127.0.0.1:$mon_port/0
  public_addr = 127.0.0.1
  cluster_addr = 127.0.0.1
  ms_bind_ipv6 = false
  # The cluster is on loopback only, and removed afterwards: it needs no keys and no encryption.
  auth_cluster_required = none
  auth_service_required = none
  auth_client_required = none
  ms_mon_client_mode = crc
  ms_mon_cluster_mode = crc
  ms_mon_service_mode = crc
  run_dir = $dir
  admin_socket = $dir/\$name.asok
  log_file = $dir/log/\$name.log
  mon_cluster_log_file = $dir/log/cluster.log
  log_to_stderr = false
  err_to_stderr = true
  # With one OSD: a single copy, few placement groups.
  osd_pool_default_size = 1
  osd_pool_default_min_size = 1
  osd_pool_default_pg_num = 2
  osd_pool_default_pgp_num = 2
  osd_pool_default_pg_autoscale_mode = off
  osd_crush_chooseleaf_type = 0
  mon_allow_pool_size_one = true
  mon_max_pg_per_osd = 1000
[mon]
  mon_data = $dir/mon
  mon_initial_members = a
  mon_data_avail_warn = 1
  mon_data_avail_crit = 1
  mon_warn_on_insecure_global_id_reclaim = false
  mon_warn_on_insecure_global_id_reclaim_allowed = false
  # A single monitor need not wait for others: it proposes at once.
  paxos_propose_interval = 0.01
  paxos_min_wait = 0.001
[osd]
  osd_data = $dir/osd
  osd_class_dir = ${classes%%$'\n'*}
  osd_objectstore = bluestore
  osd_op_num_shards = 2
  bluestore_block_size = ${RGW_DISK_BYTES:-17179869184}
  bluestore_block_create = true
  bluestore_fsck_on_mkfs = false
  bluestore_cache_autotune = false
  bluestore_cache_size = 134217728
  bluestore_debug_enforce_settings = ssd
[client.rgw]
  rgw_data = $dir/rgw
  rgw_frontends = beast endpoint=${RGW_LISTEN:-127.0.0.1}:$rgw_port tcp_nodelay=${RGW_NODELAY:-1}
  rgw_thread_pool_size = 32
  rgw_s3_auth_order = local
  rgw_rados_pool_pg_num_min = 2
  rgw_override_bucket_index_max_shards = 1
  rgw_dynamic_resharding = false
  rgw_run_sync_thread = false
  rgw_enable_ops_log = false
  rgw_enable_usage_log = false
  # Removes deleted bytes soon, so that a long run does not fill the disk; but a download that has begun may last so long.
  rgw_multipart_min_part_size = ${RGW_LEAST_PART_BYTES:-5242880}
  rgw_gc_obj_min_wait = 30
  rgw_gc_processor_period = 10
  rgw_gc_processor_max_time = 10
CONF
}

print_env() {
  [ -s "$dir/ports" ] || fail "nothing was started in $dir"
  read -r _ rgw_port <"$dir/ports"
  echo "S3_ENDPOINT=http://127.0.0.1:$rgw_port"
  echo "S3_REGION=$region"
  echo "S3_BUCKET=$bucket"
  echo "S3_ACCESS_KEY_ID=$access_key"
  echo "S3_SECRET_ACCESS_KEY=$secret_key"
}

create_bucket() {
  curl -sf --noproxy '*' --max-time 20 --aws-sigv4 "aws:amz:$region:s3" --user "$access_key:$secret_key" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X PUT "http://127.0.0.1:$rgw_port/$bucket"
}

# Stops all daemons when the owner has exited; exits itself when the folder is gone.
guard() {
  while [ -e "$dir" ] && kill -0 "$RGW_OWNER" 2>/dev/null; do sleep 1; done
  [ ! -e "$dir" ] || exec "$0" stop
}

start() {
  mkdir -p "$dir/log" "$dir/mon" "$dir/osd" "$dir/rgw" "$dir/buckets"
  exec 9>"$dir/lock"
  flock 9
  [ -s "$dir/ports" ] || echo "$(free_port 20000) ${RGW_PORT:-$(free_port 26000)}" >"$dir/ports"
  read -r mon_port rgw_port <"$dir/ports"
  [ -s "$conf" ] || write_conf

  if [ ! -e "$dir/osd/ready" ]; then
    ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd_id" --no-mon-config >"$dir/log/osd-mkfs.out" 2>&1 &
    formatting=$!
  fi
  if [ ! -e "$dir/mon/store.db" ]; then
    monmaptool --create --fsid "$cluster_id" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap" >"$dir/log/monmap.out"
    ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" >"$dir/log/mon-mkfs.out" 2>&1
  fi
  runs mon || launch mon ceph-mon -c "$conf" -i a -f
  wait_until mon listens "$mon_port"
  if [ ! -e "$dir/registered" ]; then
    ceph -c "$conf" osd new "$osd_id" 0 >/dev/null
    touch "$dir/registered"
  fi
  [ -z "$formatting" ] || wait "$formatting" || { tail -n 20 "$dir/log/osd-mkfs.out" >&2; fail 'the OSD could not be made'; }
  if ! runs osd; then
    : >"$dir/log/osd.0.log"
    launch osd ceph-osd -c "$conf" -i 0 -f
    wait_until osd grep -q 'booting -> active' "$dir/log/osd.0.log"
  fi
  runs rgw || launch rgw radosgw -c "$conf" -n client.rgw -f
  if [ ! -e "$dir/user" ]; then
    radosgw-admin -c "$conf" -n client.rgw --admin-socket= user create --uid=tidemark --display-name=tidemark \
      --access-key="$access_key" --secret-key="$secret_key" >"$dir/log/user.out" 2>&1 ||
      { tail -n 20 "$dir/log/user.out" >&2; fail 'the user could not be made'; }
    touch "$dir/user"
  fi
  wait_until rgw listens "$rgw_port"
  if [ ! -e "$dir/buckets/$bucket" ]; then
    create_bucket || fail 'the bucket could not be made'
    touch "$dir/buckets/$bucket"
  fi
  if [ -n "${RGW_OWNER:-}" ] && [ ! -e "$dir/guarded" ]; then
    touch "$dir/guarded"
    # In a session of its own: a signal that ends the owner's whole group must not end the guard, too.
    setsid "$0" guard </dev/null >/dev/null 2>&1 9>&- &
  fi
  exec 9>&-
  print_env
}

stop() {
  local name
  for name in rgw osd mon; do kill_daemon "$name"; done
  rm -rf "$dir"
}

run() {
  local waiting=
  trap '[ -z "$waiting" ] || kill "$waiting"; stop; exit 0' TERM INT
  stop
  start
  # In the background: bash runs a trap only after the foreground command has ended.
  sleep infinity &
  waiting=$!
  wait "$waiting"
}

case "${1:-}" in
  start) start ;;
  env) print_env ;;
  kill)
    case "${2:-}" in
      mon | osd | rgw) kill_daemon "$2" ;;
      *) fail 'kill mon, osd or rgw' ;;
    esac ;;
  stop) stop ;;
  run) run ;;
  # What `start` starts for RGW_OWNER.
  guard) guard ;;
  *) sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
