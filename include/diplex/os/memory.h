/* SPDX-License-Identifier: MIT */
/* What a process holds of the machine's memory. */
#ifndef DIPLEX_OS_MEMORY_H
#define DIPLEX_OS_MEMORY_H

/*
 * For a process that has started and will now wait: gives back what only starting needed. Free heap goes, and
 * so do the mapped pages of the program's and its libraries' files. What the dynamic linker and constructors
 * read once stays away; what is in use comes back from the page cache, page by page, when it is touched. Data
 * and whatever was relocated are left alone. Other threads may run; a debugger's breakpoints are lost, so set
 * them afterwards.
 */
void dx_memory_settle(void);

#endif
