/* Subnormal numbers are zero within kernels: on many processors, each operation with one costs as much as a hundred
 * others. Other processors than x86-64 and AArch64 compute with them.
 */
#ifndef CBACKPROP_SUBNORMAL_H
#define CBACKPROP_SUBNORMAL_H

/* the bits for results and operands in the register that controls arithmetic */
#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>

#define FLUSHED 0x8040u /* FTZ and DAZ */
static inline unsigned int read_control(void) { return _mm_getcsr(); }

/* all bits, as they were: reading them anew would wait for the arithmetic of the kernel */
static inline void set_control(unsigned int control) { _mm_setcsr(control); }
#elif defined(__aarch64__) && defined(__GNUC__)
#define FLUSHED (1u << 24) /* FZ */
static inline unsigned int read_control(void)
{
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return (unsigned int)control;
}

static inline void set_control(unsigned int control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((unsigned long)control));
}
#else
#define FLUSHED 0
static inline unsigned int read_control(void) { return 0; }
static inline void set_control(unsigned int control) { (void)control; }
#endif

/* returns the control bits that the other two take */
static inline unsigned int flush_subnormals(void)
{
    unsigned int control = read_control();
    set_control(control | FLUSHED);
    return control;
}

/* the other bits stay: exception flags, and what a signal handler has set */
static inline void restore_subnormals(unsigned int control)
{
    set_control((read_control() & ~FLUSHED) | (control & FLUSHED));
}
#endif
