//! A queue of messages between two processes, laid out as Boost.Interprocess lays out `message_queue`.
//!
//! We make both queues, so that their locks are ours to choose: robust, for the engine may die while it holds one, and
//! timed by the monotonic clock. A process that died with the lock may have left a message half done; it was the only
//! other one, so that nobody will ask for it, and every such path ends in [`Wait::Died`].
//!
//! A side that is stopped, not dead, is waited for until a patience ends. Two gaps are left: glibc's condition variable has
//! a lock of its own for some instructions of a signal, and that one is not robust, so that a kill just there would leave
//! us waiting, which has not been seen in thousands of kills; and so would a stop with our lock held while we wait by the
//! condition, until the other side goes on or is killed.
//!
//! Source: the layout of Boost 1.66 as the engine of ViZDoom 1.3.2 was built with it, all messages of one priority.

use std::fs::File;
use std::mem::{MaybeUninit, offset_of};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::FallocateFlags;
use rustix::shm;
use rustix::thread::sched_yield;
use rustix::time::ClockId;

use crate::layout::Message;
use crate::{Result, error::doing};

/// Messages that a queue holds.
const SLOTS: usize = 64;
/// Distance of two messages: a header of 16 bytes and the payload, rounded up to 8.
const STRIDE: usize = 152;

/// The queue, byte by byte. Pointers are distances from their own place.
#[repr(C)]
struct Layout {
    /// 2 once all else is in place.
    state: u32,
    _pad: [u32; 3],
    index: i64,
    max_messages: u64,
    max_size: u64,
    messages: u64,
    lock: libc::pthread_mutex_t,
    not_empty: libc::pthread_cond_t,
    not_full: libc::pthread_cond_t,
    /// Place in `order` of the message that came last.
    first: u64,
    blocked_senders: u64,
    blocked_receivers: u64,
    /// A ring of distances from here to slots.
    order: [i64; SLOTS],
    slots: [Slot; SLOTS],
}

#[repr(C)]
struct Slot {
    len: u64,
    priority: u32,
    _pad: u32,
    payload: [u8; STRIDE - 16],
}

const _: () = {
    assert!(size_of::<Layout>() == 10448 && size_of::<Slot>() == STRIDE);
    assert!(offset_of!(Layout, index) == 0x10 && offset_of!(Layout, messages) == 0x28);
    assert!(offset_of!(Layout, lock) == 0x30 && offset_of!(Layout, not_empty) == 0x58);
    assert!(offset_of!(Layout, not_full) == 0x88 && offset_of!(Layout, first) == 0xb8);
    assert!(offset_of!(Layout, blocked_senders) == 0xc0 && offset_of!(Layout, order) == 0xd0);
    assert!(offset_of!(Layout, slots) == 0x2d0);
};

/// How long is waited before it is looked whether the other side lives.
const GLANCE: Duration = Duration::from_millis(10);

/// How often a core is lent to the other side before this one sleeps, for others may be given it instead.
const YIELDS: usize = 16;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The other process is dead.
    Died,
    /// The other process is alive, but sent no message in time.
    TimedOut,
}

/// A message queue in shared memory, made by this process and opened by the engine; used in one direction.
#[derive(Debug)]
pub(crate) struct Queue {
    map: MmapRaw,
    name: String,
    /// Whether the name is still there.
    named: bool,
}

impl Queue {
    /// Makes the queue `name`, which must not exist.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(crate) fn create(name: String) -> Result<Self> {
        let flags = shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR;
        let fd = shm::open(&name, flags, shm::Mode::RUSR | shm::Mode::WUSR)
            .map_err(doing(format!("making the queue {name} in /dev/shm")))?;
        let file = File::from(fd);
        // Room for all of it now: of a file that is only said to be so long a first write without room ends the process.
        let len = size_of::<Layout>() as u64;
        let made = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len).map_err(std::io::Error::from);
        let map = made.and_then(|()| MmapOptions::new().len(size_of::<Layout>()).map_raw(&file));
        let map = match map {
            Ok(map) => map,
            Err(e) => {
                let _ = shm::unlink(&name);
                return Err(doing(format!(
                    "making the queue {name} in /dev/shm (a container has as much as --shm-size says)"
                ))(e));
            }
        };
        let queue = Self { map, name, named: true };
        queue.initialise()?;
        Ok(queue)
    }

    /// Takes the name away once the other side has opened it: then nothing is left in `/dev/shm`, whoever is killed.
    pub(crate) fn unlink(&mut self) {
        if std::mem::take(&mut self.named) {
            let _ = shm::unlink(&self.name); // gone already is as good
        }
    }

    fn layout(&self) -> *mut Layout {
        self.map.as_mut_ptr().cast()
    }

    fn initialise(&self) -> Result<()> {
        let this = self.layout();
        let check = |code: libc::c_int| match code {
            0 => Ok(()),
            code => Err(doing("making a lock between processes")(std::io::Error::from_raw_os_error(code))),
        };
        let mut lock = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let mut condition = MaybeUninit::<libc::pthread_condattr_t>::uninit();
        // SAFETY: the map holds a whole `Layout`, is aligned to a page and known to nobody else yet; attributes are
        // initialised before they are used, and POSIX asks for nothing more.
        unsafe {
            check(libc::pthread_mutexattr_init(lock.as_mut_ptr()))?;
            check(libc::pthread_mutexattr_setpshared(lock.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED))?;
            check(libc::pthread_mutexattr_setrobust(lock.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST))?;
            check(libc::pthread_mutex_init(&raw mut (*this).lock, lock.as_ptr()))?;
            check(libc::pthread_condattr_init(condition.as_mut_ptr()))?;
            check(libc::pthread_condattr_setpshared(condition.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED))?;
            check(libc::pthread_condattr_setclock(condition.as_mut_ptr(), libc::CLOCK_MONOTONIC))?;
            check(libc::pthread_cond_init(&raw mut (*this).not_empty, condition.as_ptr()))?;
            check(libc::pthread_cond_init(&raw mut (*this).not_full, condition.as_ptr()))?;
            (*this).index = (offset_of!(Layout, order) - offset_of!(Layout, index)) as i64;
            (*this).max_messages = SLOTS as u64;
            (*this).max_size = size_of::<Message>() as u64;
            for slot in 0..SLOTS {
                (*this).order[slot] = (place_of(slot) - order_at(slot)) as i64;
            }
            std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
            (&raw mut (*this).state).write_volatile(2);
        }
        Ok(())
    }

    /// Appends a message; waits for room up to `patience`, as long as `alive` returns true. The other side takes one at a
    /// time and answers most, so that the queue is hardly ever full.
    pub(crate) fn send(
        &mut self,
        message: &Message,
        patience: Duration,
        alive: &dyn Fn() -> bool,
    ) -> std::result::Result<(), Wait> {
        let end = Instant::now() + patience;
        let lock = self.lock(end, alive)?;
        while lock.messages() == SLOTS {
            if Instant::now() >= end {
                return Err(Wait::TimedOut);
            }
            lock.wait(Side::Sender, Instant::now() + GLANCE, alive)?;
        }
        lock.push(message)
    }

    /// Takes the oldest message; waits for one up to `patience`, as long as `alive` returns true.
    pub(crate) fn receive(
        &mut self,
        patience: Duration,
        alive: &dyn Fn() -> bool,
    ) -> std::result::Result<Message, Wait> {
        let end = Instant::now() + patience;
        let lock = self.lock(end, alive)?;
        while lock.messages() == 0 {
            if Instant::now() >= end {
                return Err(Wait::TimedOut);
            }
            lock.wait(Side::Receiver, Instant::now() + GLANCE, alive)?;
        }
        lock.pop()
    }

    /// Lends this core to the other side until that has said something, or has been lent it [`YIELDS`] times. Where both keep
    /// to one core, [`receive`](Self::receive) then seldom sleeps, and the other side need not wake it.
    pub(crate) fn yield_to_sender(&self) {
        // SAFETY: inside of the map and aligned; the other side writes it under the lock, with an ordinary store.
        let messages = unsafe { AtomicU64::from_ptr(&raw mut (*self.layout()).messages) };
        let silent = || messages.load(Ordering::Relaxed) == 0;
        (0..YIELDS).take_while(|_| silent()).for_each(|_| sched_yield());
    }

    /// Takes the lock, which the other side has for moments only: one that keeps it until `end` was stopped with it.
    fn lock(&mut self, end: Instant, alive: &dyn Fn() -> bool) -> std::result::Result<Locked<'_>, Wait> {
        loop {
            let glance = GLANCE.min(end.saturating_duration_since(Instant::now()));
            let glance = time_in(ClockId::Realtime, glance); // the clock that a lock goes by
            // SAFETY: `initialise` made the lock, and it lives as long as the map.
            match unsafe { libc::pthread_mutex_timedlock(&raw mut (*self.layout()).lock, &glance) } {
                0 => break,
                libc::ETIMEDOUT if Instant::now() >= end => return Err(Wait::TimedOut),
                libc::ETIMEDOUT if !alive() => return Err(Wait::Died), // its end is told before its lock is let go
                libc::ETIMEDOUT => {}
                libc::EOWNERDEAD => {
                    drop(Locked { queue: self }); // ours by its owner's death: let go of it
                    return Err(Wait::Died);
                }
                _ => return Err(Wait::Died), // nobody made it consistent again: ENOTRECOVERABLE
            }
        }
        Ok(Locked { queue: self })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.unlink();
    }
}

/// Where the pointer to the slot of this number is.
const fn order_at(slot: usize) -> usize {
    offset_of!(Layout, order) + slot * 8
}

/// Where the slot of this number is.
const fn place_of(slot: usize) -> usize {
    offset_of!(Layout, slots) + slot * STRIDE
}

#[derive(Clone, Copy)]
enum Side {
    Sender,
    Receiver,
}

/// The queue while we hold its lock.
struct Locked<'a> {
    queue: &'a Queue,
}

impl Locked<'_> {
    fn messages(&self) -> usize {
        // SAFETY: inside of the map, and the lock is ours.
        unsafe { (*self.queue.layout()).messages as usize }
    }

    /// Waits for the other side until `end`; an error if it is no more.
    fn wait(&self, side: Side, end: Instant, alive: &dyn Fn() -> bool) -> std::result::Result<(), Wait> {
        let this = self.queue.layout();
        let until = time_in(ClockId::Monotonic, end.saturating_duration_since(Instant::now()));
        // SAFETY: inside of the map; the lock is ours before and after the call, which is how it must be called.
        let code = unsafe {
            let (condition, blocked) = match side {
                Side::Sender => (&raw mut (*this).not_full, &raw mut (*this).blocked_senders),
                Side::Receiver => (&raw mut (*this).not_empty, &raw mut (*this).blocked_receivers),
            };
            *blocked += 1;
            let code = libc::pthread_cond_timedwait(condition, &raw mut (*this).lock, &until);
            *blocked -= 1;
            code
        };
        let died = code == libc::EOWNERDEAD || code == libc::ENOTRECOVERABLE;
        let answered = matches!(side, Side::Receiver) && self.messages() > 0; // it may have done so before it died
        if died || (code == libc::ETIMEDOUT && !alive() && !answered) { Err(Wait::Died) } else { Ok(()) }
    }

    fn push(self, message: &Message) -> std::result::Result<(), Wait> {
        let this = self.queue.layout();
        // SAFETY: inside of the map, the slot by `slot`; the lock is ours.
        let waited_for = unsafe {
            let first = (self.counts()?.0 + SLOTS - 1) % SLOTS;
            let slot = self.slot(first)?;
            (*this).first = first as u64;
            (*this).messages += 1;
            ((*slot).len, (*slot).priority) = (size_of::<Message>() as u64, 0);
            (&raw mut (*slot).payload).cast::<Message>().write_unaligned(*message);
            (*this).blocked_receivers != 0
        };
        self.release(waited_for, Side::Receiver);
        Ok(())
    }

    fn pop(self) -> std::result::Result<Message, Wait> {
        let this = self.queue.layout();
        // SAFETY: inside of the map, the slot by `slot`; the lock is ours, and any bytes are a `Message`.
        let (message, waited_for) = unsafe {
            let (first, messages) = self.counts()?;
            let last = (first + messages + SLOTS - 1) % SLOTS;
            let slot = self.slot(last)?;
            let message = (&raw const (*slot).payload).cast::<Message>().read_unaligned();
            ((*slot).len, (*slot).priority) = (0, 0);
            (*this).messages -= 1;
            (message, (*this).blocked_senders != 0)
        };
        self.release(waited_for, Side::Sender);
        Ok(message)
    }

    /// Where the ring begins and how many messages it holds; who left other numbers there did not die well.
    fn counts(&self) -> std::result::Result<(usize, usize), Wait> {
        let this = self.queue.layout();
        // SAFETY: inside of the map; the lock is ours.
        let (first, messages) = unsafe { ((*this).first as usize, (*this).messages as usize) };
        if first < SLOTS && messages <= SLOTS { Ok((first, messages)) } else { Err(Wait::Died) }
    }

    /// The slot that a place of the ring points to; who points elsewhere did not die well.
    fn slot(&self, at: usize) -> std::result::Result<*mut Slot, Wait> {
        let this = self.queue.layout();
        // SAFETY: inside of the map; the lock is ours.
        let offset = unsafe { (*this).order[at] }.wrapping_add(order_at(at) as i64);
        let known = (0..SLOTS).any(|slot| place_of(slot) as i64 == offset);
        // SAFETY: one of the slots of the map.
        if known { Ok(unsafe { this.cast::<u8>().add(offset as usize) }.cast()) } else { Err(Wait::Died) }
    }

    /// Gives the lock back, and then wakes who waits for what was done, as Boost does.
    fn release(self, waited_for: bool, who: Side) {
        let this = self.queue.layout();
        drop(self);
        if waited_for {
            // SAFETY: inside of the map, which `initialise` made the conditions in; signals need no lock.
            unsafe {
                let condition = match who {
                    Side::Sender => &raw mut (*this).not_full,
                    Side::Receiver => &raw mut (*this).not_empty,
                };
                libc::pthread_cond_signal(condition);
            }
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: who has a `Locked` holds the lock.
        unsafe { libc::pthread_mutex_unlock(&raw mut (*self.queue.layout()).lock) };
    }
}

/// The time in so long, by a clock.
fn time_in(clock: ClockId, after: Duration) -> libc::timespec {
    let now = rustix::time::clock_gettime(clock);
    let nanoseconds = now.tv_nsec as u64 + u64::from(after.subsec_nanos());
    let seconds = now.tv_sec as u64 + after.as_secs() + nanoseconds / 1_000_000_000;
    libc::timespec { tv_sec: seconds as _, tv_nsec: (nanoseconds % 1_000_000_000) as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn message(code: u8) -> Message {
        Message { code, command: [code; 128] }
    }

    fn queue(name: &str) -> Queue {
        let mut queue = Queue::create(format!("/rl-run-test-{name}-{}", std::process::id())).unwrap();
        queue.unlink();
        queue
    }

    #[test]
    fn messages_come_out_in_the_order_in_which_they_went_in_round_after_round() {
        let mut queue = queue("order");
        for round in 0..5u8 {
            for code in 0..SLOTS as u8 {
                queue.send(&message(round + code), Duration::ZERO, &|| true).unwrap();
            }
            for code in 0..SLOTS as u8 {
                let received = queue.receive(Duration::ZERO, &|| true).unwrap();
                assert_eq!((received.code, received.command), (round + code, [round + code; 128]));
            }
        }
        assert_eq!(queue.receive(Duration::ZERO, &|| true).unwrap_err(), Wait::TimedOut);
    }

    #[test]
    fn one_that_died_is_noticed_while_it_is_waited_for_whether_the_queue_is_empty_or_full() {
        let mut queue = queue("death");
        assert_eq!(queue.receive(Duration::from_secs(60), &|| false).unwrap_err(), Wait::Died);
        for _ in 0..SLOTS {
            queue.send(&message(1), LONG, &|| true).unwrap();
        }
        assert!(queue.receive(Duration::from_secs(60), &|| false).is_ok(), "what was said before counts");
        queue.send(&message(1), LONG, &|| true).unwrap();
        assert_eq!(queue.send(&message(2), LONG, &|| false).unwrap_err(), Wait::Died);
    }

    #[test]
    fn one_that_died_with_the_lock_is_noticed_by_who_asks_for_it_then_and_later() {
        let mut queue = queue("lock");
        let place = queue.layout() as usize;
        let holder = std::thread::spawn(move || {
            // SAFETY: the queue outlives the thread, which is joined below.
            assert_eq!(unsafe { libc::pthread_mutex_lock(&raw mut (*(place as *mut Layout)).lock) }, 0);
        });
        holder.join().unwrap(); // a thread that ends with a robust lock is as dead as a process
        for _ in 0..3 {
            assert_eq!(queue.send(&message(1), LONG, &|| true).unwrap_err(), Wait::Died);
            assert_eq!(queue.receive(Duration::ZERO, &|| true).unwrap_err(), Wait::Died);
        }
    }

    #[test]
    fn one_that_is_stopped_is_waited_for_until_a_patience_ends() {
        let mut queue = queue("stopped");
        let short = Duration::from_millis(20);
        assert_eq!(queue.receive(short, &|| true).unwrap_err(), Wait::TimedOut);
        for _ in 0..SLOTS {
            queue.send(&message(1), short, &|| true).unwrap();
        }
        assert_eq!(queue.send(&message(2), short, &|| true).unwrap_err(), Wait::TimedOut, "it is full");
        let place = queue.layout() as usize;
        let (locked, is_locked) = std::sync::mpsc::channel();
        let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn(move || {
            // SAFETY: the queue outlives the thread, which is joined below.
            let lock = unsafe { &raw mut (*(place as *mut Layout)).lock };
            // SAFETY: as above.
            assert_eq!(unsafe { libc::pthread_mutex_lock(lock) }, 0);
            locked.send(()).unwrap();
            goes_on.recv().unwrap();
            // SAFETY: as above, and this thread has locked it.
            unsafe { libc::pthread_mutex_unlock(lock) };
        });
        is_locked.recv().unwrap();
        assert_eq!(queue.receive(short, &|| true).unwrap_err(), Wait::TimedOut, "its lock is taken");
        assert_eq!(queue.send(&message(2), short, &|| true).unwrap_err(), Wait::TimedOut, "its lock is taken");
        assert_eq!(queue.send(&message(2), LONG, &|| false).unwrap_err(), Wait::Died, "its lock is taken");
        go_on.send(()).unwrap();
        holder.join().unwrap();
        assert_eq!(queue.receive(short, &|| true).unwrap().code, 1);
    }

    #[test]
    fn a_ring_that_points_elsewhere_is_not_followed() {
        let mut queue = queue("ring");
        queue.send(&message(1), LONG, &|| true).unwrap();
        // SAFETY: nobody else knows the queue.
        unsafe { (*queue.layout()).order[SLOTS - 1] = i64::MAX };
        assert_eq!(queue.receive(Duration::ZERO, &|| true).unwrap_err(), Wait::Died);
    }
}
