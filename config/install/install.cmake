# SPDX-License-Identifier: MIT
#
# `cmake --install`: the program, its file, units and user, manual pages and completion, documentation. Included by the
# CMakeLists.txt at the top when there is a program. DESTDIR works. With the prefix /usr
# the configuration is in /etc, as GNUInstallDirs has it.

set(DIPLEX_MADE ${PROJECT_BINARY_DIR}/install)
file(MAKE_DIRECTORY ${DIPLEX_MADE})
find_program(DIPLEX_GZIP gzip)

install(TARGETS diplex RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

configure_file(${PROJECT_SOURCE_DIR}/config/install/places.cmake.in ${DIPLEX_MADE}/places.cmake @ONLY)
install(SCRIPT ${DIPLEX_MADE}/places.cmake)
install(FILES ${PROJECT_SOURCE_DIR}/config/systemd/diplex.sysusers DESTINATION lib/sysusers.d RENAME diplex.conf)

# What the program says of itself. A program with a sanitizer or for another machine is not run while it is built.
if(NOT DIPLEX_SANITIZE AND NOT DIPLEX_COVERAGE AND NOT CMAKE_CROSSCOMPILING)
    set(made)
    function(diplex_say file)
        add_custom_command(OUTPUT ${DIPLEX_MADE}/${file}
            COMMAND diplex ${ARGN} > ${DIPLEX_MADE}/${file}
            DEPENDS diplex VERBATIM COMMENT "Asking diplex for ${file}")
        set(made ${made} ${DIPLEX_MADE}/${file} PARENT_SCOPE)
    endfunction()
    diplex_say(diplex.1 manual diplex.1)
    diplex_say(diplex.yaml.5 manual diplex.yaml.5)
    diplex_say(diplex.bash completion bash)
    diplex_say(_diplex completion zsh)
    diplex_say(diplex.fish completion fish)
    set(gz)
    if(DIPLEX_GZIP)
        set(gz .gz)
        foreach(page diplex.1 diplex.yaml.5)
            add_custom_command(OUTPUT ${DIPLEX_MADE}/${page}.gz
                COMMAND ${DIPLEX_GZIP} -9nkf ${DIPLEX_MADE}/${page} DEPENDS ${DIPLEX_MADE}/${page} VERBATIM)
            list(APPEND made ${DIPLEX_MADE}/${page}.gz)
        endforeach()
    endif()
    add_custom_target(diplex_pages ALL DEPENDS ${made})
    install(FILES ${DIPLEX_MADE}/diplex.1${gz} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${DIPLEX_MADE}/diplex.yaml.5${gz} DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
    install(FILES ${DIPLEX_MADE}/diplex.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME diplex)
    install(FILES ${DIPLEX_MADE}/_diplex DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${DIPLEX_MADE}/diplex.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

# For people and for the tools beside diplex. A tree without its documentation, as an image is built of, has less.
install(FILES ${PROJECT_SOURCE_DIR}/config/diplex.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/diplex)
foreach(folder grafana prometheus)
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/config/${folder})
        install(DIRECTORY ${PROJECT_SOURCE_DIR}/config/${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/diplex)
    endif()
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/config/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(file LICENSE README.md CHANGELOG.md SECURITY.md)
    install(FILES ${PROJECT_SOURCE_DIR}/${file} DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
endforeach()
if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/docs)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
