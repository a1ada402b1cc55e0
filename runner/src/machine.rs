//! What is used of this machine: threads, instruction set, device; and what is noted of it.

pub(crate) mod identity;

use std::error::Error as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command as Process;

use anyhow::{Context as _, anyhow, bail};
use candle_core::Device;
use clap::Args;

use crate::collect::Workers;
use crate::console::number::counted;
use crate::console::usage::usage;

/// What a run may use of this machine; none of it decides a bit.
#[derive(Clone, Debug, Args)]
pub(crate) struct Machine {
    #[command(flatten)]
    cpu: Cpu,
    /// Threads that step environments [default: as --threads where a step takes long enough, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// `cpu` or `cuda` [default: cpu; of resume and verify the device that the run used]
    #[arg(long)]
    device: Option<String>,
}

impl Machine {
    /// Name of the device: `cpu` unless `--device` names another.
    pub(crate) fn device(&self) -> &str {
        self.device.as_deref().unwrap_or("cpu")
    }

    /// Name of the device for a run that `used` one: that one unless `--device` names another.
    pub(crate) fn device_of<'a>(&'a self, used: &'a str) -> &'a str {
        self.device.as_deref().unwrap_or(used)
    }

    /// The flag of what only an agent uses, if one is given.
    pub(crate) fn of_an_agent(&self) -> Option<&'static str> {
        let device = self.device.as_ref().map(|_| "--device");
        device.or(self.workers.map(|_| "--workers"))
    }

    /// The flags that were given, as they stand behind other words of a command line.
    pub(crate) fn given(&self) -> String {
        let Self { cpu: Cpu { threads, isa }, workers, device } = self;
        let [threads, workers] = [threads, workers].map(|count| count.map(|count| count.to_string()));
        let flags = [("threads", &threads), ("isa", isa), ("workers", &workers), ("device", device)];
        flags.into_iter().filter_map(|(flag, value)| Some(format!(" --{flag} {}", value.as_ref()?))).collect()
    }

    /// Most threads that may be used at once.
    pub(crate) fn threads(&self) -> usize {
        self.cpu.threads()
    }

    /// Threads that step environments.
    ///
    /// # Errors
    /// If `--workers` asks for more than [`threads`](Self::threads).
    pub(crate) fn workers(&self) -> anyhow::Result<Workers> {
        let threads = self.threads();
        match self.workers.map(usize::from) {
            None => Ok(Workers::UpTo(threads)),
            Some(workers) if workers <= threads => Ok(Workers::Exactly(workers)),
            Some(workers) => Err(usage(format!(
                "--workers {workers}: only {} may be used (--threads {workers} allows as many)",
                counted(threads, "thread")
            ))),
        }
    }

    /// Makes the choices that hold for the whole process; see [`Cpu::settle`].
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        self.cpu.settle()
    }
}

/// What is used of the CPU.
#[derive(Clone, Debug, Args)]
pub(crate) struct Cpu {
    /// Threads for tensor operations, and for stepping in between [default: $RAYON_NUM_THREADS if set, else all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Instruction set of tensor operations: `avx512`, `avx2`, `neon` or `portable` [default: the best of this CPU]
    #[arg(long)]
    isa: Option<String>,
}

/// Variables that rayon and candle read whenever they need them, so that they are set before anything else runs.
const THREADS: [&str; 2] = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"];
/// Variable that makes the allocator keep freed memory: the next update asks for it again, and fresh pages cost a tenth
/// of it.
const KEEP: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "-1");

impl Cpu {
    /// Most threads that may be used at once: `--threads`, else `$RAYON_NUM_THREADS`, else one per core.
    pub(crate) fn threads(&self) -> usize {
        let set = std::env::var(THREADS[0]).ok().and_then(|text| text.parse().ok()).filter(|&threads| threads > 0);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map(usize::from).or(set).unwrap_or_else(cores)
    }

    /// Makes the choices that hold for the whole process.
    ///
    /// # Errors
    /// If this CPU lacks the instruction set, as many threads cannot be started, their variable is no number, or the
    /// program cannot be started again.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        if let (None, Some(set)) = (self.threads, std::env::var_os(THREADS[0])) {
            let said = set.to_string_lossy();
            if !said.is_empty() && said.parse::<usize>().is_err() {
                bail!(usage(format!("{}={said}: expected a number of threads, 0 for one per core", THREADS[0])));
            }
        }
        self.settle_environment()?;
        self.start_threads()?;
        let Some(isa) = &self.isa else { return Ok(()) };
        isa.parse().and_then(rl_nn::choose_isa).map_err(|reason| usage(format!("--isa: {reason}")))
    }

    /// Starts the threads of tensor operations now: whoever is the first to need them has no way to fail.
    ///
    /// This thread, which learns, is one of them: from outside of the pool it would sleep and be woken in every kernel.
    /// A pool of one thread has one of its own: other threads with kernels would wait for ever while this one waits for
    /// them.
    fn start_threads(&self) -> anyhow::Result<()> {
        let threads = self.threads();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = if threads > 1 { pool.use_current_thread() } else { pool };
        match pool.build_global() {
            Err(e) if e.source().is_some() => Err(anyhow!("--threads {threads}: {e}")),
            _ => Ok(()), // they may be there already
        }
    }

    /// Starts this program again in its own place if environment variables differ from `--threads` or do not say how
    /// memory is kept. A process cannot change its environment without `unsafe`, and for its allocator it is too late.
    fn settle_environment(&self) -> anyhow::Result<()> {
        let threads = self.threads.map(|threads| threads.to_string());
        let mut wanted: Vec<(&str, &str)> =
            threads.iter().flat_map(|threads| THREADS.map(|name| (name, threads.as_str()))).collect();
        if std::env::var_os(KEEP.0).is_none() {
            wanted.push(KEEP);
        }
        wanted.retain(|(name, value)| std::env::var(name).as_deref() != Ok(value));
        if wanted.is_empty() {
            return Ok(());
        }
        let mut again = Process::new(std::env::current_exe()?);
        again.args(std::env::args_os().skip(1)).envs(wanted);
        Err(again.exec().into())
    }
}

/// The device called `name`: `cpu` or `cuda`.
///
/// # Errors
/// If there is no such device here, or the binary was built without it.
pub(crate) fn device(name: &str) -> anyhow::Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" if cfg!(feature = "cuda") => Device::new_cuda(0).context("--device cuda"),
        "cuda" => bail!(usage(
            "--device cuda: this binary was built without the feature `cuda`: `cargo build --release -p rl-runner --features cuda` has it, and needs \
             the CUDA toolkit"
        )),
        _ => bail!(usage(format!("--device {name}: expected `cpu` or `cuda`"))),
    }
}
