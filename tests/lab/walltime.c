/* walltime OFFSET-FILE PROGRAM [ARGS]: runs PROGRAM in place of itself, with a wall clock that is off by the seconds
 * (int64) at the beginning of OFFSET-FILE: what is written there later is a step of the clock of a running process.
 *
 * For what `skew.c` can't reach, a static binary: its clock_gettime(CLOCK_REALTIME) stops in the kernel (a seccomp
 * listener), and a process beside it answers. So that it asks the kernel at all, the address of the vDSO is taken out
 * of what the program finds at its start. The monotonic clock is left alone, as it should be.
 * The process beside it ends with the program. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void need(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "walltime: %s: %s\n", what, strerror(errno));
    exit(120);
}

static int memory_of(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* Where the kernel put argc, argv, the environment and the auxiliary vector: field 28 of /proc/PID/stat. */
static uint64_t start_of_stack(pid_t pid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, text, sizeof text - 1);
    need(fd >= 0 && size > 0, path);
    close(fd);
    text[size] = 0;
    char *at = strrchr(text, ')'); /* ends field 2, which may hold anything */
    for (int field = 2; at && field < 28; field++) at = strchr(at + 1, ' ');
    need(at != NULL, "the start of the stack");
    return strtoull(at, NULL, 10);
}

static uint64_t next_word(int memory, uint64_t *at) {
    uint64_t word;
    need(pread(memory, &word, sizeof word, *at) == sizeof word, "the program's stack");
    *at += sizeof word;
    return word;
}

static void hide_vdso(pid_t pid) {
    const uint64_t ignored = AT_IGNORE;
    int memory = memory_of(pid);
    need(memory >= 0, "the program's memory");
    uint64_t at = start_of_stack(pid);
    uint64_t argc = next_word(memory, &at);
    at += (argc + 1) * sizeof(uint64_t); /* argv and its end */
    while (next_word(memory, &at) != 0) continue; /* the environment */
    for (uint64_t type; (type = next_word(memory, &at)) != AT_NULL; at += sizeof(uint64_t))
        if (type == AT_SYSINFO_EHDR)
            need(pwrite(memory, &ignored, sizeof ignored, at - sizeof type) == sizeof ignored, "hiding the vDSO");
    close(memory);
}

static void answer(int listener, int offset) {
    struct seccomp_notif asked = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) return; /* the thread is gone */
    struct timespec now;
    int64_t seconds = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    need(pread(offset, &seconds, sizeof seconds, 0) >= 0, "the offset");
    now.tv_sec += seconds;
    struct seccomp_notif_resp reply = {.id = asked.id, .error = -EFAULT};
    int memory = memory_of(asked.pid);
    /* Once opened, the memory is the asker's if the question still stands. */
    if (memory >= 0 && !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked.id)
        && pwrite(memory, &now, sizeof now, asked.data.args[1]) == sizeof now)
        reply.error = 0;
    if (memory >= 0) close(memory);
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

static void stand_beside(pid_t program, int listener, int offset, int ready) {
    need(!ptrace(PTRACE_SEIZE, program, 0, PTRACE_O_TRACEEXEC), "watching for the exec");
    need(write(ready, "", 1) == 1, "saying so");
    close(ready);
    int status;
    do {
        need(waitpid(program, &status, __WALL) == program, "waiting for the exec");
        if (WIFEXITED(status) || WIFSIGNALED(status)) exit(0);
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) break;
        ptrace(PTRACE_CONT, program, 0, WSTOPSIG(status));
    } while (1);
    hide_vdso(program);
    need(!ptrace(PTRACE_DETACH, program, 0, 0), "letting the program go");
    struct pollfd listens = {.fd = listener, .events = POLLIN};
    while (poll(&listens, 1, -1) > 0 && !(listens.revents & POLLHUP)) answer(listener, offset);
    exit(0);
}

int main(int argc, char **argv) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    need(argc > 2, "walltime OFFSET-FILE PROGRAM [ARGS]");
    int offset = open(argv[1], O_RDONLY | O_CLOEXEC), go[2], ready[2];
    need(offset >= 0, argv[1]);
    need(!pipe2(go, O_CLOEXEC) && !pipe2(ready, O_CLOEXEC), "pipes");
    pid_t self = getpid(), child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        /* Once more, so that the program has no child that it does not know of. */
        if (fork() != 0) _exit(0);
        int number, pidfd = syscall(SYS_pidfd_open, self, 0);
        need(read(go[0], &number, sizeof number) == sizeof number, "the listener's number");
        int listener = syscall(SYS_pidfd_getfd, pidfd, number, 0);
        need(listener >= 0, "the listener");
        close(0), close(1); /* whoever reads the program's output waits for the program alone */
        stand_beside(self, listener, offset, ready[1]);
    }
    need(waitpid(child, NULL, 0) == child, "the one in between");
    close(ready[1]);
    need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges");
    int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    need(listener >= 0, "the filter");
    char said;
    need(write(go[1], &listener, sizeof listener) == sizeof listener, "handing the listener over");
    need(read(ready[0], &said, 1) == 1, "the process beside");
    execv(argv[2], argv + 2);
    need(0, argv[2]);
}
