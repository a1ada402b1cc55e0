//! Ports of the engines that host a match.

use std::net::{Ipv4Addr, UdpSocket};

use crate::Result;
use crate::error::doing;

/// Finds a free UDP port. Another process may take it meanwhile; [`is_held_by`] tells whether the engine got it.
///
/// # Errors
/// If the operating system has no free port.
pub(crate) fn free() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(doing("looking for a free port"))?;
    Ok(socket.local_addr().map_err(doing("looking for a free port"))?.port())
}

/// Whether the process with the id `process` is the one that listens at the UDP port `port`.
pub(crate) fn is_held_by(process: u32, port: u16) -> bool {
    // A line of the table: number, local address as `hex:hex`, remote address, state, and 5 more before the socket's inode.
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let holds = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next()?;
        let (_, found) = local.split_once(':')?;
        (u16::from_str_radix(found, 16) == Ok(port)).then(|| words.nth(7).map(str::to_owned)).flatten()
    };
    // Several sockets have a port where their addresses differ.
    let sockets: Vec<String> = table.lines().filter_map(holds).map(|inode| format!("socket:[{inode}]")).collect();
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let mut links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    !sockets.is_empty() && links.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_port_is_known() {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(); // and not `free`, whose port another may take
        let (port, ours) = (first.local_addr().unwrap().port(), std::process::id());
        assert!(is_held_by(ours, port) && !is_held_by(1, port));
        drop(first);
        assert!(!is_held_by(ours, port));
    }
}
