# SPDX-License-Identifier: MIT
#
# Run by CPack when all is installed: what every Debian package has in its folder of documents, and the places that are
# other ones with Debian.

set(usr ${CPACK_TEMPORARY_DIRECTORY}/usr)
set(documents ${usr}/share/doc/diplex)

file(REMOVE ${documents}/LICENSE) # all of it is in copyright
file(COPY ${CPACK_DIPLEX_MADE}/copyright ${CPACK_DIPLEX_MADE}/changelog DESTINATION ${documents})
execute_process(COMMAND ${CPACK_DIPLEX_GZIP} -9nf ${documents}/changelog RESULT_VARIABLE failed)
if(failed)
    message(FATAL_ERROR "gzip could not compress ${documents}/changelog")
endif()
file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
