/* Subnormal numbers are zero within kernels: on many processors, each operation with one costs as much as a hundred
 * others. Other processors than x86-64 and AArch64 compute with them.
 */
#ifndef CBACKPROP_SUBNORMAL_H
#define CBACKPROP_SUBNORMAL_H

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>

#define FLUSHED 0x8040u /* FTZ and DAZ: results and operands */

/* the control bits that restore_subnormals() takes */
static inline unsigned int flush_subnormals(void)
{
    unsigned int control = _mm_getcsr();
    _mm_setcsr(control | FLUSHED);
    return control;
}

/* the other bits stay: exception flags, and what a signal handler has set */
static inline void restore_subnormals(unsigned int control)
{
    _mm_setcsr((_mm_getcsr() & ~FLUSHED) | (control & FLUSHED));
}

/* all bits, of a kernel that calls nothing: reading them would wait for its arithmetic */
static inline void restore_control(unsigned int control) { _mm_setcsr(control); }
#elif defined(__aarch64__) && defined(__GNUC__)
#define FLUSHED (1u << 24) /* FZ: results and operands */

static inline unsigned int read_fpcr(void)
{
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return (unsigned int)control;
}

static inline void write_fpcr(unsigned int control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((unsigned long)control));
}

static inline unsigned int flush_subnormals(void)
{
    unsigned int control = read_fpcr();
    write_fpcr(control | FLUSHED);
    return control;
}

static inline void restore_subnormals(unsigned int control)
{
    write_fpcr((read_fpcr() & ~FLUSHED) | (control & FLUSHED));
}

static inline void restore_control(unsigned int control) { write_fpcr(control); }
#else
static inline unsigned int flush_subnormals(void) { return 0; }
static inline void restore_subnormals(unsigned int control) { (void)control; }
static inline void restore_control(unsigned int control) { (void)control; }
#endif
#endif
