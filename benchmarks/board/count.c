/* Counts the instructions that an emulated program executes. The count so far goes into a file as a
 * line each time the program calls getpgid, which Python and the engines never do by themselves,
 * and each time it writes to standard output.
 *
 * QEMU loads this with -plugin count.so,out=FILE. The four functions of its plugin interface are
 * declared here because distributions don't package its header.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GETPGID 155 /* of aarch64 */
#define WRITE 64
#define PUBLIC __attribute__((visibility("default")))

typedef void Block;
typedef uint64_t Id, Word;
size_t qemu_plugin_tb_n_insns(const Block *);
void qemu_plugin_register_vcpu_tb_trans_cb(Id, void (*)(Id, Block *));
void qemu_plugin_register_vcpu_tb_exec_cb(Block *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_syscall_cb(
    Id, void (*)(Id, unsigned, int64_t, Word, Word, Word, Word, Word, Word, Word, Word));

PUBLIC int qemu_plugin_version = INTERFACE;

static uint64_t count; /* plain: what is counted runs in one thread */
static FILE *out;

static void executed(unsigned cpu, void *instructions) { count += (uintptr_t)instructions; }

static void translated(Id id, Block *block) {
  void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, instructions);
}

static void called(Id id, unsigned cpu, int64_t number, Word a, Word b, Word c, Word d, Word e,
                   Word f, Word g, Word h) {
  if (number != GETPGID && !(number == WRITE && a == 1)) return;
  fprintf(out, "%" PRIu64 "\n", count);
  fflush(out);
}

PUBLIC int qemu_plugin_install(Id id, const void *about, int argc, char **argv) {
  if (argc != 1 || strncmp(argv[0], "out=", 4) || !(out = fopen(argv[0] + 4, "w"))) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  return 0;
}
