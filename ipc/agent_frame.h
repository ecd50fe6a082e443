/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of the byte stream between vmrunner and the guest's agent (a virtio-serial port).
 *
 * A frame is a header of 12 bytes and a payload:
 *
 *	offset 0  le32  length of the payload, at most AGENT_PAYLOAD_MAX
 *	offset 4  le32  command id; 0 in a control frame, never 0 in a data frame
 *	offset 8  u8    kind (enum agent_kind)
 *	offset 9  3 bytes, zero
 *
 * AGENT_CONTROL carries one packed HostToGuest or GuestToHost.  The others carry bytes of one
 * stream of one command; an empty one is that stream's end, and nothing of it follows.  The
 * host sends stdin only after Started.
 *
 * Credit.  The host starts with AGENT_WINDOW bytes for stdin, the guest with AGENT_OUTPUT_START
 * for each output (256 commands whose clients do not read cost the host 16 MiB, no more).  A
 * sender may never have sent more than it was given.  The receiver gives credit (never 0) as its
 * own consumer takes the bytes, and more than was taken where it has room, but never so that
 * over AGENT_WINDOW is outstanding: neither side ever buffers more than that for a stream.  A
 * data frame beyond its credit, for an unknown command, or after its stream's end is a broken
 * protocol, except that what the host sent for a command whose Exited crossed it on the way is
 * dropped.
 */
#ifndef GONDOLIN_IPC_AGENT_FRAME_H
#define GONDOLIN_IPC_AGENT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define AGENT_PROTOCOL     2u
#define AGENT_HEADER_SIZE  12u
#define AGENT_PAYLOAD_MAX  65536u
#define AGENT_WINDOW       (256u * 1024u)
#define AGENT_OUTPUT_START (32u * 1024u)
#define AGENT_COMMANDS_MAX 256u /* at once; one more is refused */
/* Words in argv and in env each; the frame's cap bounds their bytes. */
#define AGENT_ARGV_MAX  1024u
#define AGENT_PORT_NAME "org.gondolin.agent"
/* Of AgentNetwork: bytes of the CA, and of the link. */
#define AGENT_CA_MAX  4096u
#define AGENT_MTU_MIN 1280u
#define AGENT_MTU_MAX 65520u

enum agent_kind {
	AGENT_CONTROL = 0,
	AGENT_STDIN = 1,  /* host to guest */
	AGENT_STDOUT = 2, /* guest to host; the terminal's output with tty */
	AGENT_STDERR = 3, /* guest to host; never with tty */
};

struct agent_header {
	uint32_t length;
	uint32_t id;
	enum agent_kind kind;
};

/* Writes the header's 12 bytes to out. */
void agent_header_encode(const struct agent_header *h, uint8_t out[AGENT_HEADER_SIZE]);

/*
 * Reads a header and checks everything that can be checked without state: length, kind, id against
 * kind, the zero bytes.  Returns 0, or -EPROTO.
 */
int agent_header_decode(const uint8_t in[AGENT_HEADER_SIZE], struct agent_header *h);

/*
 * Cuts a byte stream into frames without copying payloads that arrive whole.
 * The reader owns one buffer of `AGENT_HEADER_SIZE + AGENT_PAYLOAD_MAX` bytes, made by _init.
 */
struct agent_reader {
	uint8_t *buffer;
	size_t capacity; /* bytes in buffer */
	size_t start;    /* first byte not handed out */
	size_t end;      /* first byte not filled */
};

/* Allocates the buffer.  Returns 0 or -ENOMEM. */
int agent_reader_init(struct agent_reader *r);
void agent_reader_clear(struct agent_reader *r);

/*
 * The place where the next read(2) should put bytes; *room is at least 1 (partial frames are moved
 * to the front first where that is needed).
 */
uint8_t *agent_reader_space(struct agent_reader *r, size_t *room);

/* Says that n bytes (at most the room) were read there. */
void agent_reader_filled(struct agent_reader *r, size_t n);

/*
 * The next whole frame.  Returns 1 and sets *h and *payload (valid until the next _space call), 0
 * where more bytes are needed, -EPROTO where the stream is broken (and it stays so).
 */
int agent_reader_next(struct agent_reader *r, struct agent_header *h, const uint8_t **payload);

#endif
