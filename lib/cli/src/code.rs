//! Every error and warning code a tool may print, with the exit status it brings. This list is append-only.
//!
//! Scripts match on the code, so a code keeps its name, its meaning and its exit status for ever; a new failure that a
//! script may want to tell apart gets a new line, at the end of its group.

use crate::Exit;

macro_rules! codes {
    ($($variant:ident $exit:ident $name:literal $meaning:literal;)*) => {
        /// A stable name for what went wrong; it decides the exit status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// All codes, in the order of the list.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The snake_case name that errors and warnings show.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The exit status of a run that ends with this code; warnings have [`Exit::Done`].
            pub fn exit(self) -> Exit {
                match self { $(Code::$variant => Exit::$exit,)* }
            }

            /// What the code means, in one line.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    // Warnings: the run goes on.
    TestDocument        Done        "test_document"         "keys come from a seed that others may know";
    FileMode            Done        "file_mode"             "a secret file can be read by others";
    TaskPanicked        Done        "task_panicked"         "a background task failed; the rest goes on";
    CaKeyOnline         Done        "ca_key_online"         "the key that a server's identity hangs on lies beside the server";
    LinkExisted         Done        "link_existed"          "a link was there already, from an earlier run";
    CheckWarning        Done        "check_warning"         "a check found something worth knowing";
    PeerMessageRefused  Done        "peer_message_refused"  "something that came through a queue was dropped";
    MessageNotSent      Done        "message_not_sent"      "a message that waited was given up";
    QueueFull           Done        "queue_full"            "the peer's queue is full; it will be tried again";
    ServerDown          Done        "server_down"           "a server cannot be reached; it will be tried again";
    RelayProblem        Done        "relay_problem"         "something stands between a group and one of its relays";
    LinkNotWritten      Done        "link_not_written"      "a link does not say yet what it is to say";
    LinkWithheld        Done        "link_withheld"         "a server does not return the link data that it confirmed";
    LinkReplayed        Done        "link_replayed"         "the server of a link returns what it said before";
    NothingToDraw       Done        "nothing_to_draw"       "records hold no step of those that were to be shown";
    NotServed           Done        "not_served"            "other runs on a file have to wait until this one ends";
    LinkConflict        Done        "link_conflict"         "two owners changed the same at once";
    Dismissed           Done        "dismissed"             "another owner has removed this one";

    // The answer is no.
    CheckFailed         No          "check_failed"          "a check that was asked for did not hold";
    SignatureInvalid    No          "signature_invalid"     "a signature does not verify";
    HashMismatch        No          "hash_mismatch"         "data does not have the hash its link promises";
    GroupIdMismatch     No          "group_id_mismatch"     "data belongs to another group";
    Refused             No          "refused"               "the other side said no, as the protocol allows";
    NotFound            No          "not_found"             "the server holds nothing under this link";
    TranscriptDiffers   No          "transcript_differs"    "relays did not deliver what owners counted";

    // The command line.
    Usage               Usage       "usage"                 "an argument is unknown, missing or has a bad value";
    InputRequired       Usage       "input_required"        "a document is needed and stdin is a terminal";
    StdinTaken          Usage       "stdin_taken"           "two inputs were asked for on the one stdin";
    TestMixed           Usage       "test_mixed"            "test documents or a seed together with real documents";
    TestRefused         Usage       "test_refused"          "a test document where only real ones are taken";

    // What came in is malformed.
    JsonMalformed       Malformed   "json_malformed"        "not one JSON object within the limits";
    TypeUnexpected      Malformed   "type_unexpected"       "a document of another type";
    VersionUnexpected   Malformed   "version_unexpected"    "a document of an unknown version";
    FieldInvalid        Malformed   "field_invalid"         "a field is missing or has a bad value";
    SeedMalformed       Malformed   "seed_malformed"        "a seed file without 32 bytes in base64url or hex";
    LinkMalformed       Malformed   "link_malformed"        "a link or address that cannot be read";

    // Local files.
    FileMissing         File        "file_missing"          "a file does not exist";
    FileExists          File        "file_exists"           "a file exists and --force was not given";
    FileFailed          File        "file_failed"           "a file cannot be read or written";
    StateBusy           File        "state_busy"            "another run holds the state file";
    StdoutFailed        File        "stdout_failed"         "stdout cannot be written";
    PortTaken           File        "port_taken"            "a server cannot listen on its address";
    StoreFailed         File        "store_failed"          "a server cannot open or use its store";
    TakenOver           File        "taken_over"            "another run receives from the queue now";

    // The network.
    Unreachable         Unreachable "unreachable"           "a connection cannot be made or was lost";
    TimedOut            Unreachable "timed_out"             "no answer within the time limit";
    ServerUnreachable   Unreachable "server_unreachable"    "an SMP server cannot be reached";
    RelayUnreachable    Unreachable "relay_unreachable"     "a relay cannot be reached";
    NotYet              Unreachable "not_yet"               "the other side has not done its part yet";

    // The peer.
    PeerRefused         Peer        "peer_refused"          "the peer answered with an error";
    PeerProtocol        Peer        "peer_protocol"         "the peer broke the protocol";
    PeerVersion         Peer        "peer_version"          "the peer speaks no version that we do";
    PeerIdentity        Peer        "peer_identity"         "the peer is not who its address says";

    // Signals and our own faults.
    Interrupted         Interrupted "interrupted"           "stopped by SIGINT";
    Terminated          Terminated  "terminated"            "stopped by SIGTERM";
    Bug                 Bug         "bug"                   "a fault of this program";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_snake_case() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
